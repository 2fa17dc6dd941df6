// Package e2e tests the whole program: production, clients, tcpsandbox and the
// application, as processes in network namespaces that are joined by a veth
// pair.
//
// The tests are the scripts in testdata. Each gets two namespaces, "prod" and
// "client", and a directory of its own; what the commands in the scripts mean
// stands in commands_linux_test.go. The servers and clients are in apps: both
// ends keep a record of each connection's address and bytes, and sameclients
// compares the two.
//
//	go test ./e2e                                  # as root, or it skips
//	go test ./e2e -run TestScripts/keepalive -v
//	go test -race ./e2e                            # the program, too, has the race detector
//
// TestScreen has the screen of run and of the demo on terminals of its own
// (package terminal), and uses it by its keys.
//
// TestCaptureFaults plays what the capture's side can suffer (interfaces that go,
// files that grow or break, clocks that step), a subtest for each fault.
//
// TestFaults is the matrix of what may go wrong with the application and around it
// (apps/faulty).
//
// TestCorpus plays a folder of captures, which TCPSANDBOX_CORPUS names, into the
// oracle (apps/oracle), which does what production's server did in each;
// house_test.go holds the rules for the repository as a whole.
//
// A script that fails leaves its directory behind, with the report, the
// output of every process and a capture of production's interface, and says
// where. With TCPSANDBOX_NEED=all in the environment a test that lacks
// something (root, nginx, tcpdump) fails instead of being skipped.
package e2e
