// SPDX-License-Identifier: BSD-2-Clause

// The Go side of the benchmarks: the same work as in ../*.c, printed in the same form.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const batch = 1000

var ended int // on one processor it needs no atomic

func empty() { ended++ }

func spawn(operations int) {
	ended = 0
	for done := 0; done < operations; done += batch {
		for i := 0; i < batch; i++ {
			go empty()
		}
		for ended < done+batch {
			runtime.Gosched()
		}
	}
}

func spawnGroup(operations int) {
	var group sync.WaitGroup
	for done := 0; done < operations; done += batch {
		group.Add(batch)
		for i := 0; i < batch; i++ {
			go group.Done()
		}
		group.Wait()
	}
}

func join(operations int) {
	var group sync.WaitGroup
	for i := 0; i < operations; i++ {
		group.Add(1)
		go group.Done()
		group.Wait()
	}
}

func yield(operations int) {
	var group sync.WaitGroup
	group.Add(2)
	for task := 0; task < 2; task++ {
		go func() {
			for i := 0; i < operations/2; i++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
}

func mutex(operations int) {
	var lock sync.Mutex
	for i := 0; i < operations; i++ {
		lock.Lock()
		lock.Unlock()
	}
}

func channel(operations int) {
	there, back := make(chan uint64), make(chan uint64)
	go func() {
		for value := range there {
			back <- value
		}
	}()
	for i := 0; i < operations; i++ {
		there <- uint64(i)
		if <-back != uint64(i) {
			panic("lost")
		}
	}
	close(there)
}

var figures = []struct {
	name       string
	operations int // in a slice
	run        func(operations int)
}{
	{"spawn", 3000, spawn},
	{"spawn-group", 3000, spawnGroup},
	{"yield", 6000, yield},
	{"mutex", 40000, mutex},
	{"chan", 2000, channel},
	{"join", 2000, join},
}

var counter int64

func timeOf(run func(int), operations int) float64 {
	began := time.Now()
	run(operations)
	return float64(time.Since(began).Nanoseconds()) / float64(operations)
}

func atomicAdds(operations int) {
	for i := 0; i < operations; i++ {
		atomic.AddInt64(&counter, 1)
	}
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func core() {
	runtime.GOMAXPROCS(1)
	const slices = 61
	for _, figure := range figures {
		timeOf(figure.run, figure.operations*4)
		run, add := make([]float64, slices), make([]float64, slices)
		for i := range run {
			add[i] = timeOf(atomicAdds, 50000)
			run[i] = timeOf(figure.run, figure.operations)
		}
		fmt.Printf("%s %.3f %.3f\n", figure.name, median(run), median(add))
	}
}

func number(i int) int {
	n, err := strconv.Atoi(os.Args[i])
	if err != nil {
		panic(err)
	}
	return n
}

func main() {
	switch os.Args[1] {
	case "core":
		core()
	case "skynet":
		skynet(number(2))
	case "parked":
		parked(number(2))
	case "fair":
		fair(os.Args[2] == "rwlock")
	case "consume":
		consume(number(2))
	}
}
