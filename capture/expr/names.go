package expr

import "strings"

// The tables of words. Nothing is looked up outside: the same expression means
// the same on every machine.

// keywords are tcpdump's reserved words, those of constructs that this package
// does not have included: they are refused by name, never read as host names.
var keywords = words(`
	dst src link ether ppp slip fddi tr wlan arp rarp ip sctp tcp udp icmp igmp igrp pim vrrp carp radio
	ip6 icmp6 ah esp atalk aarp decnet lat sca moprc mopdl iso esis es-is isis is-is l1 l2 iih lsp snp csnp
	psnp clnp stp ipx netbeui host net mask port portrange proto protochain gateway type subtype direction
	dir address1 addr1 address2 addr2 address3 addr3 address4 addr4 ra ta less greater byte broadcast
	multicast and or not len length inbound outbound ifindex vlan mpls pppoed pppoes geneve lane llc metac
	bcc oam oamf4 oamf4ec oamf4sc sc ilmic vpi vci connectmsg metaconnect on ifname rset ruleset rnr
	rulenum srnr subrulenum reason action fisu lssu lsu msu hfisu hlssu hmsu sio opc dpc sls hsio hopc hdpc
	hsls
`)

// constants are the names of header fields and their values.
var constants = map[string]uint32{
	"icmptype": 0, "icmpcode": 1, "icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4,
	"icmp-redirect": 5, "icmp-echo": 8, "icmp-routeradvert": 9, "icmp-routersolicit": 10,
	"icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14, "icmp-ireq": 15,
	"icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18, "icmp6type": 0, "icmp6code": 1,
	"icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3,
	"icmp6-parameterproblem": 4, "icmp6-echo": 128, "icmp6-echoreply": 129,
	"icmp6-multicastlistenerquery": 130, "icmp6-multicastlistenerreportv1": 131,
	"icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133, "icmp6-routeradvert": 134,
	"icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
	"icmp6-routerrenum": 138, "icmp6-nodeinformationquery": 139, "icmp6-nodeinformationresponse": 140,
	"icmp6-ineighbordiscoverysolicit": 141, "icmp6-ineighbordiscoveryadvert": 142,
	"icmp6-multicastlistenerreportv2": 143, "icmp6-homeagentdiscoveryrequest": 144,
	"icmp6-homeagentdiscoveryreply": 145, "icmp6-mobileprefixsolicit": 146,
	"icmp6-mobileprefixadvert": 147, "icmp6-certpathsolicit": 148, "icmp6-certpathadvert": 149,
	"icmp6-multicastrouteradvert": 151, "icmp6-multicastroutersolicit": 152,
	"icmp6-multicastrouterterm": 153, "tcpflags": 13, "tcp-fin": 0x01, "tcp-syn": 0x02, "tcp-rst": 0x04,
	"tcp-push": 0x08, "tcp-ack": 0x10, "tcp-urg": 0x20, "tcp-ece": 0x40, "tcp-cwr": 0x80,
}

// service is a port by name. tcpdump asks the services database and, where the
// name is registered for one transport only, matches that one alone: "port
// http" is TCP.
type service struct {
	port uint16
	on   transports
}

// services are well-known names with the ports and transports that Debian's
// /etc/services gives them.
var services = map[string]service{
	"ftp-data": {20, onTCP}, "ftp": {21, onTCP}, "ssh": {22, onTCP}, "telnet": {23, onTCP},
	"smtp": {25, onTCP}, "mail": {25, onTCP}, "whois": {43, onTCP}, "domain": {53, onAny},
	"bootps": {67, onUDP}, "bootpc": {68, onUDP}, "tftp": {69, onUDP}, "finger": {79, onTCP},
	"http": {80, onTCP}, "www": {80, onTCP}, "kerberos": {88, onAny}, "pop3": {110, onTCP},
	"pop-3": {110, onTCP}, "sunrpc": {111, onAny}, "portmapper": {111, onAny}, "auth": {113, onTCP},
	"ident": {113, onTCP}, "nntp": {119, onTCP}, "ntp": {123, onUDP}, "epmap": {135, onTCP},
	"loc-srv": {135, onTCP}, "netbios-ns": {137, onUDP}, "netbios-dgm": {138, onUDP},
	"netbios-ssn": {139, onTCP}, "imap2": {143, onTCP}, "imap": {143, onTCP}, "snmp": {161, onAny},
	"snmp-trap": {162, onAny}, "xdmcp": {177, onUDP}, "bgp": {179, onTCP}, "ldap": {389, onAny},
	"https": {443, onAny}, "microsoft-ds": {445, onTCP}, "submissions": {465, onTCP},
	"ssmtp": {465, onTCP}, "smtps": {465, onTCP}, "urd": {465, onTCP}, "isakmp": {500, onUDP},
	"rtsp": {554, onAny}, "ipp": {631, onTCP}, "exec": {512, onTCP}, "login": {513, onTCP},
	"shell": {514, onTCP}, "syslog": {514, onAny}, "printer": {515, onTCP}, "route": {520, onUDP},
	"submission": {587, onTCP}, "ldaps": {636, onAny}, "domain-s": {853, onAny}, "rsync": {873, onTCP},
	"ftps-data": {989, onTCP}, "ftps": {990, onTCP}, "telnets": {992, onTCP}, "imaps": {993, onTCP},
	"pop3s": {995, onTCP}, "socks": {1080, onTCP}, "openvpn": {1194, onAny}, "ms-sql-s": {1433, onTCP},
	"ms-sql-m": {1434, onUDP}, "radius": {1812, onAny}, "radius-acct": {1813, onAny}, "nfs": {2049, onAny},
	"cvspserver": {2401, onTCP}, "mysql": {3306, onTCP}, "ms-wbt-server": {3389, onTCP},
	"iscsi-target": {3260, onTCP}, "svn": {3690, onTCP}, "epmd": {4369, onTCP}, "sip": {5060, onAny},
	"sip-tls": {5061, onAny}, "xmpp-client": {5222, onTCP}, "xmpp-server": {5269, onTCP},
	"mdns": {5353, onUDP}, "postgresql": {5432, onTCP}, "postgres": {5432, onTCP}, "amqps": {5671, onTCP},
	"x11": {6000, onTCP}, "redis": {6379, onTCP}, "mysql-proxy": {6446, onTCP}, "ircs-u": {6697, onTCP},
	"ircd": {6667, onTCP}, "http-alt": {8080, onTCP}, "puppet": {8140, onTCP}, "git": {9418, onTCP},
	"zabbix-agent": {10050, onTCP}, "zabbix-trapper": {10051, onTCP}, "munin": {4949, onTCP},
	"nrpe": {5666, onTCP}, "syslog-tls": {6514, onTCP}, "webmin": {10000, onTCP}, "spamd": {783, onTCP},
	"kpasswd": {464, onAny}, "time": {37, onAny}, "echo": {7, onAny}, "discard": {9, onAny},
	"daytime": {13, onAny}, "chargen": {19, onAny}, "rmiregistry": {1099, onTCP}, "gpsd": {2947, onTCP},
	"distcc": {3632, onTCP}, "nut": {3493, onAny}, "tinc": {655, onAny}, "gopher": {70, onTCP},
	"nbd": {10809, onTCP}, "sieve": {4190, onTCP}, "dict": {2628, onTCP}, "rtcm-sc104": {2101, onAny},
	"afpovertcp": {548, onTCP}, "ingreslock": {1524, onTCP},
}

// protocols are the names that may follow "proto", as in Debian's
// /etc/protocols.
var protocols = map[string]uint32{
	"ip": 0, "IP": 0, "hopopt": 0, "HOPOPT": 0, "icmp": 1, "ICMP": 1, "igmp": 2, "IGMP": 2, "ggp": 3,
	"GGP": 3, "ipencap": 4, "IP-ENCAP": 4, "st": 5, "ST": 5, "tcp": 6, "TCP": 6, "egp": 8, "EGP": 8,
	"igp": 9, "IGP": 9, "pup": 12, "PUP": 12, "udp": 17, "UDP": 17, "hmp": 20, "HMP": 20, "xns-idp": 22,
	"XNS-IDP": 22, "rdp": 27, "RDP": 27, "iso-tp4": 29, "ISO-TP4": 29, "dccp": 33, "DCCP": 33, "xtp": 36,
	"XTP": 36, "ddp": 37, "DDP": 37, "idpr-cmtp": 38, "IDPR-CMTP": 38, "ipv6": 41, "IPv6": 41,
	"ipv6-route": 43, "IPv6-Route": 43, "ipv6-frag": 44, "IPv6-Frag": 44, "idrp": 45, "IDRP": 45,
	"rsvp": 46, "RSVP": 46, "gre": 47, "GRE": 47, "esp": 50, "IPSEC-ESP": 50, "ah": 51, "IPSEC-AH": 51,
	"skip": 57, "SKIP": 57, "ipv6-icmp": 58, "IPv6-ICMP": 58, "ipv6-nonxt": 59, "IPv6-NoNxt": 59,
	"ipv6-opts": 60, "IPv6-Opts": 60, "rspf": 73, "RSPF": 73, "CPHB": 73, "vmtp": 81, "VMTP": 81,
	"eigrp": 88, "EIGRP": 88, "ospf": 89, "OSPFIGP": 89, "ax.25": 93, "AX.25": 93, "ipip": 94, "IPIP": 94,
	"etherip": 97, "ETHERIP": 97, "encap": 98, "ENCAP": 98, "pim": 103, "PIM": 103, "ipcomp": 108,
	"IPCOMP": 108, "vrrp": 112, "VRRP": 112, "l2tp": 115, "L2TP": 115, "isis": 124, "ISIS": 124,
	"sctp": 132, "SCTP": 132, "fc": 133, "FC": 133, "mobility-header": 135, "Mobility-Header": 135,
	"udplite": 136, "UDPLite": 136, "mpls-in-ip": 137, "MPLS-in-IP": 137, "manet": 138, "hip": 139,
	"HIP": 139, "shim6": 140, "Shim6": 140, "wesp": 141, "WESP": 141, "rohc": 142, "ROHC": 142,
	"ethernet": 143, "Ethernet": 143, "mptcp": 262, "MPTCP": 262,
}

// etherTypes are the names that may follow "ether proto".
var etherTypes = map[string]uint32{
	"ip": etherIP, "ip6": etherIP6, "arp": etherARP, "rarp": etherRARP,
	"decnet": 0x6003, "lat": 0x6004, "loopback": 0x9000, "mopdl": 0x6001, "moprc": 0x6002, "sca": 0x6007,
	"iso": llcISO, "netbeui": llcNetBEUI, "stp": 0x42,
}

func words(list string) map[string]struct{} {
	set := make(map[string]struct{})
	for _, w := range strings.Fields(list) {
		set[w] = struct{}{}
	}
	return set
}
