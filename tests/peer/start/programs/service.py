import time

print("started", flush=True)

import tensorflow

print("ready", tensorflow.constant([20.0, 22.0]).numpy().sum(), flush=True)
time.sleep(3600)
