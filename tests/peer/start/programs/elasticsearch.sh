#!/bin/bash
echo started
exec /usr/share/elasticsearch/bin/elasticsearch
