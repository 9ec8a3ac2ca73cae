// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

var worked atomic.Uint64 // somebody needs the result

//go:noinline
func work(seed uint64, steps int) uint64 {
	x := seed | 1
	for i := 0; i < steps; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// How many steps take so many nanoseconds.
func stepsOf(ns float64) int {
	const tries, steps = 20, 200000
	best := time.Hour
	for i := 0; i < tries; i++ {
		began := time.Now()
		worked.Add(work(uint64(i), steps))
		if took := time.Since(began); took < best {
			best = took
		}
	}
	return int(ns * steps / float64(best.Nanoseconds()))
}

// Eight goroutines fight for one lock: as in ../fair.c.
func fair(shared bool) {
	const tasks, times, writeEvery = 8, 1000000, 4
	runtime.GOMAXPROCS(2)
	var mutex sync.Mutex
	var rwlock sync.RWMutex
	var group, ready sync.WaitGroup
	var done [tasks]struct {
		times atomic.Int64
		_     [56]byte
	}
	var firstDone atomic.Bool
	slowest := int64(times)
	inside := 0
	steps := stepsOf(50)
	start := make(chan bool)
	began := time.Now()
	for task := 0; task < tasks; task++ {
		group.Add(1)
		ready.Add(1)
		go func(self int) {
			defer group.Done()
			ready.Done()
			<-start
			sum := uint64(0)
			for i := 0; i < times; i++ {
				write := !shared || i%writeEvery == 0
				switch {
				case !shared:
					mutex.Lock()
				case write:
					rwlock.Lock()
				default:
					rwlock.RLock()
				}
				if write {
					inside++
				}
				sum += work(uint64(i), steps)
				switch {
				case !shared:
					mutex.Unlock()
				case write:
					rwlock.Unlock()
				default:
					rwlock.RUnlock()
				}
				done[self].times.Store(int64(i + 1))
				sum += work(uint64(i), steps)
			}
			worked.Add(sum)
			if !firstDone.Swap(true) {
				for i := range done {
					slowest = min(slowest, done[i].times.Load())
				}
			}
		}(task)
	}
	ready.Wait()
	close(start)
	group.Wait()
	fmt.Printf("%.0f %.3f\n", float64(time.Since(began).Nanoseconds())/1e6, float64(slowest)/times)
}
