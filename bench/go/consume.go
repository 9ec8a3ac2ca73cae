// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Many to one: four producers send a million elements each to a goroutine that ranges over the channel.
func consume(processors int) {
	const producers, each, capacity = 4, 1000000, 128
	runtime.GOMAXPROCS(processors)
	ch := make(chan uint64, capacity)
	var group sync.WaitGroup
	done := make(chan bool)
	began := time.Now()
	go func() {
		var last [producers]uint64
		for value := range ch {
			last[value/(each+1)]++
			if value%(each+1) != last[value/(each+1)] {
				panic("lost, doubled or overtaken")
			}
		}
		done <- true
	}()
	for i := uint64(0); i < producers; i++ {
		group.Add(1)
		go func(base uint64) {
			for k := uint64(1); k <= each; k++ {
				ch <- base + k
			}
			group.Done()
		}(i * (each + 1))
	}
	group.Wait()
	close(ch)
	<-done
	fmt.Printf("%.2f\n", float64(time.Since(began).Nanoseconds())/producers/each)
}
