package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of proxies that this server's operator runs. They are
// believed in one thing: for whom they ask, which decides on rate limits and stands
// in the log, and on nothing else.
type Proxies []netip.Prefix

// ParseProxies reads networks (10.1.0.0/16) and addresses.
func ParseProxies(texts []string) (Proxies, error) {
	var p Proxies
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, aerr := netip.ParseAddr(text)
			if aerr != nil {
				return nil, fmt.Errorf("%.60q is no network: %w", text, err)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

func (p Proxies) has(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// maxForwarded is how many addresses of an X-Forwarded-For header are looked at.
const maxForwarded = 32

// of returns the address that a request comes from: the connection's, or, where that
// is a proxy of ours, the last one in X-Forwarded-For that is not. What a client wrote
// there stands further to the left, and is never reached.
func (p Proxies) of(r *http.Request) netip.Addr {
	addr := remoteAddr(r.RemoteAddr)
	if !addr.IsValid() || !p.has(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for n := 0; len(hops) > 0 && n < maxForwarded; n++ {
		last := strings.TrimSpace(hops[len(hops)-1])
		hops = hops[:len(hops)-1]
		hop, err := netip.ParseAddr(last)
		if err != nil {
			break // the proxy wrote something else: it is known itself
		}
		if addr = hop.Unmap(); !p.has(addr) {
			return addr
		}
	}
	return addr
}

func remoteAddr(text string) netip.Addr {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// limitKey is what of an address is limited: all of IPv4, and of IPv6 the /64 that one
// client has to itself.
func limitKey(addr netip.Addr) string {
	if addr.Is6() && !addr.Is4In6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return addr.String()
}
