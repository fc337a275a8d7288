package main

func (b *bench) containers() {}
