package terminal

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes writes a number of bytes with a binary unit (IEC 80000-13): "812 B",
// "1.5 KiB", "41.9 GiB". Three digits are shown at most once there is a unit.
func Bytes(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, units := float64(n)/1024, "KMGTPE"
	for len(units) > 1 && math.Round(v*10)/10 >= 1024 {
		v, units = v/1024, units[1:]
	}
	format := "%.1f %ciB"
	if v >= 99.95 {
		format = "%.0f %ciB"
	}
	return fmt.Sprintf(format, v, units[0])
}

// Count writes a number with its thousands apart: "1,234,567".
func Count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural writes a count and its noun: "1 file", "2,048 files". The plural is
// the noun with an s unless another is given.
func Plural(n uint64, noun string, plural ...string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case len(plural) > 0:
		return Count(n) + " " + plural[0]
	}
	return Count(n) + " " + noun + "s"
}

// Percent writes what part is of whole: "0.5%". Less than everything is never
// written 100%, and more than nothing never 0%.
func Percent(part, whole uint64) string {
	if whole == 0 {
		return "–"
	}
	p := float64(part) / float64(whole) * 100
	switch {
	case part == 0:
		return "0%"
	case p < 0.01:
		return "<0.01%"
	case p < 1:
		return strconv.FormatFloat(math.Round(p*100)/100, 'f', -1, 64) + "%"
	case part < whole && p >= 99.95:
		return ">99.9%"
	}
	return strconv.FormatFloat(math.Round(p*10)/10, 'f', -1, 64) + "%"
}

// Rate writes bytes done in a time: "1.2 GiB/s"; "–" where no time passed.
func Rate(n uint64, d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	return Bytes(uint64(float64(n)/d.Seconds())) + "/s"
}

// Duration writes a length of time in the one or two largest units that
// matter: "450 µs", "12 ms", "1.4 s", "2 min 5 s", "3 h 20 min", "4 d 6 h".
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-d)
	}
	switch {
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(float64(d/(100*time.Millisecond))/10, 'f', 1, 64) + " s"
	case d < time.Minute:
		return strconv.FormatInt(int64(d/time.Second), 10) + " s"
	case d < time.Hour:
		return two(d, time.Minute, "min", time.Second, "s")
	case d < 24*time.Hour:
		return two(d, time.Hour, "h", time.Minute, "min")
	}
	return two(d, 24*time.Hour, "d", time.Hour, "h")
}

func two(d, big time.Duration, bigUnit string, small time.Duration, smallUnit string) string {
	text := strconv.FormatInt(int64(d/big), 10) + " " + bigUnit
	if rest := (d % big) / small; rest > 0 {
		text += " " + strconv.FormatInt(int64(rest), 10) + " " + smallUnit
	}
	return text
}

// Time writes a ledger's time, in unix milliseconds, in the person's zone
// with its offset: "2026-11-22 14:03:07 +01:00". Zero is "–".
func (t *Terminal) Time(unixMilli int64) string {
	if unixMilli == 0 {
		return "–"
	}
	return time.UnixMilli(unixMilli).In(t.zone).Format("2006-01-02 15:04:05 -07:00")
}

// TimeText is Time of one that is written as RFC 3339 has it; what is not, stays as
// it is.
func (t *Terminal) TimeText(rfc3339 string) string {
	at, err := time.Parse(time.RFC3339Nano, rfc3339)
	if err != nil {
		return rfc3339
	}
	return t.Time(at.UnixMilli())
}

// Some lists the first of many names, and says how many more there are.
func Some(list []string, most int) string {
	if len(list) <= most+1 {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %s more", Count(uint64(len(list)-most)))
}
