package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// pressures are limits on how much the host's tasks may wait, as the kernel
// measures it (pressure stall information): the share of the last ten seconds in
// which somebody waited for a processor, or everybody for memory or the disk.
// By resource, from 0 to 1.
type pressures map[string]float64

// resources are those that there are, and the line of the kernel's that counts:
// of cpu it is the only one that means anything for a whole host.
var resources = map[string]string{"cpu": "some", "memory": "full", "io": "full"}

// parsePressures reads "cpu=50%,memory=10%" or "none".
func parsePressures(text string) (pressures, error) {
	limits := pressures{}
	if text == "none" {
		return limits, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		resource, share, ok := strings.Cut(part, "=")
		if _, known := resources[resource]; !ok || !known {
			return nil, fmt.Errorf("%q is not cpu, memory or io and a percentage, such as memory=10%%", part)
		}
		n, err := parsePercent(share)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", resource, err)
		}
		limits[resource] = n
	}
	return limits, nil
}

// parsePercent reads "12.5%" or "12.5" as 0.125.
func parsePercent(text string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(n > 0 && n <= 100) {
		return 0, fmt.Errorf("%q is not a percentage of more than 0 and at most 100, such as 5%%", text)
	}
	return n / 100, nil
}

// names returns the resources that are limited, in order.
func (p pressures) names() (all []string) {
	for name := range p {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// stalled reads what the kernel tells of a resource, such as
//
//	some avg10=1.53 avg60=0.87 avg300=0.31 total=58761
//	full avg10=0.00 avg60=0.13 avg300=0.05 total=33117
//
// as the share of the last ten seconds that counts.
func stalled(resource, text string) (float64, error) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != resources[resource] {
			continue
		}
		for _, w := range words[1:] {
			if value, ok := strings.CutPrefix(w, "avg10="); ok {
				n, err := strconv.ParseFloat(value, 64)
				if err != nil || !(n >= 0 && n <= 100) {
					break
				}
				return n / 100, nil
			}
		}
	}
	return 0, fmt.Errorf("read the pressure on %s: %q is not what a kernel tells", resource, strings.TrimSpace(text))
}
