package main

func (b *bench) contents() {}
