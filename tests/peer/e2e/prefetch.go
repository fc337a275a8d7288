package main

func (b *bench) prefetch() {}
