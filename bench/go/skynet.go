// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"fmt"
	"runtime"
	"time"
)

func node(up chan<- uint64, first, size uint64) {
	if size == 1 {
		up <- first
		return
	}
	const children = 10
	down := make(chan uint64)
	for i := uint64(0); i < children; i++ {
		go node(down, first+i*(size/children), size/children)
	}
	var sum uint64
	for i := 0; i < children; i++ {
		sum += <-down
	}
	up <- sum
}

// Prints milliseconds and peak memory in MiB.
func skynet(processors int) {
	const leaves = 1000000
	runtime.GOMAXPROCS(processors)
	began := time.Now()
	up := make(chan uint64)
	go node(up, 0, leaves)
	if <-up != leaves*(leaves-1)/2 {
		panic("wrong sum")
	}
	fmt.Printf("%.1f %.1f\n", float64(time.Since(began).Microseconds())/1e3, memory("VmHWM")/(1<<20))
}
