// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// A figure of this process out of /proc/self/status, in bytes.
func memory(field string) float64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) > 1 && words[0] == field+":" {
			kib, _ := strconv.ParseFloat(words[1], 64)
			return kib * 1024
		}
	}
	return 0
}

// Parks so many goroutines in a channel receive and prints the bytes of each.
func parked(count int) {
	var begun, ended sync.WaitGroup
	before := memory("VmRSS") + memory("VmPTE")
	ch := make(chan uint64)
	begun.Add(count)
	ended.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			begun.Done()
			<-ch
			ended.Done()
		}()
	}
	begun.Wait()
	after := memory("VmRSS") + memory("VmPTE")
	close(ch)
	ended.Wait()
	fmt.Printf("%.0f\n", (after-before)/float64(count))
}
