package main

func (b *bench) negative() {}
