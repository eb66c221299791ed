package devices

import "time"

// rtcFields are the time and date registers as a program sees them, in the
// form that register B asks for.
type rtcFields [8]uint8

const (
	rtcSeconds = iota
	rtcMinutes
	rtcHours
	rtcDayOfWeek
	rtcDay
	rtcMonth
	rtcYear
	rtcHundreds
)

// rtcFieldAt is the field of each register below 10; alarms have none.
var rtcFieldAt = [10]int8{
	0: rtcSeconds, 1: -1, 2: rtcMinutes, 3: -1, 4: rtcHours, 5: -1,
	6: rtcDayOfWeek, 7: rtcDay, 8: rtcMonth, 9: rtcYear,
}

func isTime(i uint8) bool {
	return i == rtcCentury || i < 10 && rtcFieldAt[i] >= 0
}

// at is the field of register i.
func (f *rtcFields) at(i uint8) *uint8 {
	if i == rtcCentury {
		return &f[rtcHundreds]
	}
	return &f[rtcFieldAt[i]]
}

// fields gives the time at edge k.
func (r *RTC) fields(k uint64) rtcFields {
	if !r.runs() {
		return r.held
	}
	t := time.Unix(r.base+int64((k-r.origin)/rtcHz), 0).UTC()
	year := ((t.Year() % 10_000) + 10_000) % 10_000
	return rtcFields{
		rtcSeconds:   r.encode(t.Second()),
		rtcMinutes:   r.encode(t.Minute()),
		rtcHours:     r.encodeHour(t.Hour()),
		rtcDayOfWeek: r.encode((int(t.Weekday())+int(r.weekday))%7 + 1),
		rtcDay:       r.encode(t.Day()),
		rtcMonth:     r.encode(int(t.Month())),
		rtcYear:      r.encode(year % 100),
		rtcHundreds:  r.encode(year / 100),
	}
}

// setFields makes the time f at edge k: kept as it is while the clock
// stands, the start of counting while it runs. What is no date, such as
// February 30, is counted as the days after.
func (r *RTC) setFields(k uint64, f rtcFields) {
	if !r.runs() {
		r.held = f
		return
	}
	r.held = rtcFields{}
	t := time.Date(
		r.decode(f[rtcHundreds])*100+r.decode(f[rtcYear]),
		time.Month(r.decode(f[rtcMonth])), r.decode(f[rtcDay]),
		r.decodeHour(f[rtcHours]), r.decode(f[rtcMinutes]), r.decode(f[rtcSeconds]),
		0, time.UTC)
	r.base = t.Unix()
	r.origin += (k - r.origin) / rtcHz * rtcHz
	r.weekday = uint8((r.decode(f[rtcDayOfWeek]) + 13 - int(t.Weekday())) % 7)
}

func (r *RTC) encode(v int) uint8 {
	if r.b&rtcBinary != 0 {
		return uint8(v)
	}
	return uint8(v/10<<4 | v%10)
}

func (r *RTC) decode(v uint8) int {
	if r.b&rtcBinary != 0 {
		return int(v)
	}
	return int(v>>4)*10 + int(v&15)
}

// encodeHour: in 12-hour form, bit 7 is for the afternoon and midnight is 12.
func (r *RTC) encodeHour(h int) uint8 {
	if r.b&rtc24 != 0 {
		return r.encode(h)
	}
	v := r.encode((h+11)%12 + 1)
	if h >= 12 {
		v |= 0x80
	}
	return v
}

func (r *RTC) decodeHour(v uint8) int {
	if r.b&rtc24 != 0 {
		return r.decode(v)
	}
	h := r.decode(v&0x7f) % 12
	if v&0x80 != 0 {
		h += 12
	}
	return h
}

// untilAlarm is the number of seconds until the alarm next matches, counted
// from the one numbered second since origin, or Never.
func (r *RTC) untilAlarm(second uint64) uint64 {
	const day = 24 * 60 * 60
	now := ((r.base+int64(second%day))%day + day) % day
	for t := now + 1; t <= now+day; {
		h, m, s := t/3600%24, t/60%60, t%60
		switch {
		case !alarmMatches(r.memory[5], r.encodeHour(int(h))):
			t += 3600 - t%3600
		case !alarmMatches(r.memory[3], r.encode(int(m))):
			t += 60 - t%60
		case !alarmMatches(r.memory[1], r.encode(int(s))):
			t++
		default:
			return uint64(t - now)
		}
	}
	return Never
}

// alarmMatches: 0xc0 to 0xff match everything.
func alarmMatches(alarm, v uint8) bool { return alarm >= 0xc0 || alarm == v }
