package report

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"html"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// browsed is what came of a page.
type browsed struct {
	dom     string
	console []string // what the page wrote to its console, or caused to be
	asked   []string // what was asked of the network for the page's sake
}

// ownHosts are those that Chromium asks for itself: for the time, for updates,
// who is signed in.
var ownHosts = []string{"accounts.google.com", "clients2.google.com", "update.googleapis.com", "optimizationguide-pa.googleapis.com",
	"content-autofill.googleapis.com", "safebrowsing.googleapis.com", "edgedl.me.gvt1.com", "redirector.gvt1.com"}

// browse opens a page in headless Chromium. Whatever it asks of the network ends
// here, loopback included.
func browse(t *testing.T, url string, args ...string) browsed {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("TCPSANDBOX_NEED") == "all" {
			t.Fatal("no Chromium, and TCPSANDBOX_NEED=all")
		}
		t.Skip("no Chromium here: apt-get install chromium")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	profile := t.TempDir()
	var mu sync.Mutex
	var result browsed
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := r.URL.Hostname(); !slices.Contains(ownHosts, host) {
			mu.Lock()
			result.asked = append(result.asked, r.Method+" "+host)
			mu.Unlock()
		}
		http.Error(w, "there is no network here", http.StatusBadGateway)
	}))
	defer proxy.Close()
	all := append([]string{"--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-default-apps", "--disable-extensions", "--no-pings", "--enable-logging=stderr", "--v=0", "--hide-scrollbars",
		"--disable-dev-shm-usage", "--user-data-dir=" + profile, "--virtual-time-budget=5000",
		"--proxy-server=" + proxy.URL, "--proxy-bypass-list=<-loopback>", "--dump-dom"}, args...)
	if os.Geteuid() == 0 {
		all = append(all, "--no-sandbox") // it refuses to run as root with one
	}
	cmd := exec.CommandContext(ctx, path, append(all, url)...)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	// Its helpers are in its process group, and end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = end, 10*time.Second
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	if cmd.Process != nil {
		// Until none of them is left, they write to the profile. Where nobody
		// reaps orphans, they stay as zombies, which do not.
		for i := 0; end() == nil && i < 200; i++ {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, log.String())
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "CONSOLE") {
			result.console = append(result.console, line)
		}
	}
	proxy.Close() // and with it what is under way
	result.dom = out.String()
	return result
}

// saved writes a page, with a script of the test's own that its policy allows,
// and returns its address.
func saved(t *testing.T, r *Result, script string) string {
	t.Helper()
	p, err := newPage(r.written())
	if err != nil {
		t.Fatal(err)
	}
	if script != "" {
		p.Policy = contentPolicy(scriptHash(pageScript) + " " + scriptHash(script))
	}
	var b bytes.Buffer
	if err := pageOf.Execute(&b, p); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if script != "" {
		page = strings.Replace(page, "</body>", "<script>"+script+"</script></body>", 1)
	}
	path := filepath.Join(t.TempDir(), "run.html")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// What the steps of a test's script saw.
type seen struct {
	Rows     []string // routes and places that are shown
	Fragment string
	Shown    string // the words beside the buttons
	First    string // the first route of the table
	Title    string
}

// look is the part of a script that notes what is to be seen.
const look = `
const seen = [];
const look = () => seen.push({
  Rows: [...document.querySelectorAll(".difference")].filter((d) => d.checkVisibility()).map((d) => d.querySelector(".route").textContent + " " + d.querySelector(".place").firstChild.textContent.trim()),
  Fragment: location.hash, Shown: document.getElementById("shown").textContent,
  First: document.querySelector("#routes tbody tr").cells[0].textContent, Title: document.title,
});
const done = () => { const log = document.createElement("pre"); log.id = "seen"; log.textContent = JSON.stringify(seen); document.body.append(log); };
`

func steps(t *testing.T, dom string) (all []seen) {
	t.Helper()
	m := regexp.MustCompile(`<pre id="seen">([^<]*)</pre>`).FindStringSubmatch(dom)
	if m == nil {
		t.Fatalf("the script did not come to its end:\n%s", dom)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBrowserFilter(t *testing.T) {
	url := saved(t, shop(), look+`
look();
const box = document.getElementById("filter");
const type = (text) => { box.value = text; box.dispatchEvent(new Event("input")); look(); };
const click = (selector) => { document.querySelector(selector).click(); look(); };
type("REBATE cart");
type("text/html");
type("nothing of that");
type("");
click("button[data-kind=missing]");
click("button[data-kind=json]");
type("search");
click("button[data-kind='']");
click("#routes th:nth-child(3) button");
click("#routes th:nth-child(3) button");
click("#routes th:nth-child(1) button");
location.hash = "#q=teapot&kind=header";
addEventListener("hashchange", () => { look(); done(); });
`)
	page := browse(t, url)
	if page.console != nil {
		t.Errorf("the console says %q", page.console)
	}
	const cart, search, missing = "GET /cart/{id} $.cart.total, $.cart.rebate", "GET /search header content-type", "GET /search no answer"
	title := shopVerdict
	want := []seen{
		{[]string{cart, search, missing}, "", "", "GET /products/{id}", title},
		{[]string{cart}, "#q=REBATE+cart", "1 of 3 shown, 1,208 answers", "GET /products/{id}", title},
		{[]string{search}, "#q=text%2Fhtml", "1 of 3 shown, 94 answers", "GET /products/{id}", title},
		{[]string{}, "#q=nothing+of+that", "0 of 3 shown, 0 answers", "GET /products/{id}", title},
		{[]string{cart, search, missing}, "", "", "GET /products/{id}", title},
		{[]string{missing}, "#kind=missing", "1 of 3 shown, 4 answers", "GET /products/{id}", title},
		{[]string{cart}, "#kind=json", "1 of 3 shown, 1,208 answers", "GET /products/{id}", title},
		{[]string{}, "#q=search&kind=json", "0 of 3 shown, 0 answers", "GET /products/{id}", title},
		{[]string{search, missing}, "#q=search", "2 of 3 shown, 98 answers", "GET /products/{id}", title},
		{[]string{search, missing}, "#q=search", "2 of 3 shown, 98 answers", "GET /cart/{id}", title},     // most that differ
		{[]string{search, missing}, "#q=search", "2 of 3 shown, 98 answers", "GET /products/{id}", title}, // fewest
		{[]string{search, missing}, "#q=search", "2 of 3 shown, 98 answers", "GET /", title},              // by name
		{[]string{search}, "#q=teapot&kind=header", "1 of 3 shown, 94 answers", "GET /", title},
	}
	if d := gocmp.Diff(want, steps(t, page.dom)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

const shopVerdict = "1,306 of 60,030 compared answers are not production's (1,302 different, 4 missing)"

// A link to a filtered page, or to one difference, shows that.
func TestBrowserFragment(t *testing.T) {
	url := saved(t, shop(), look+`look(); if (document.getElementById("difference-2").open) document.title = "open"; done();`)
	page := browse(t, url+"#q=search&kind=missing")
	if got := steps(t, page.dom); !slices.Equal(got[0].Rows, []string{"GET /search no answer"}) {
		t.Errorf("shown are %q", got[0].Rows)
	}
	page = browse(t, url+"#difference-2")
	if got := steps(t, page.dom); len(got[0].Rows) != 3 || !strings.Contains(page.dom, "<title>open</title>") {
		t.Errorf("difference 2 is not open; shown are %q", got[0].Rows)
	}
}

// Nobody is asked for anything, whatever the page shows, and nothing of it runs
// but its own script.
func TestBrowserAsksNobody(t *testing.T) {
	for name, r := range map[string]*Result{"shop": shop(), "hostile": hostile()} {
		page := browse(t, saved(t, r, ""))
		if page.asked != nil || page.console != nil {
			t.Errorf("%s: asked is %q, the console says %q", name, page.asked, page.console)
		}
		if strings.Contains(page.dom, "<title>broken") || strings.Contains(page.dom, "<img") {
			t.Errorf("%s: foreign markup is in the page", name)
		}
		if n := strings.Count(page.dom, `<details class="difference"`); n != len(r.Differences) {
			t.Errorf("%s: %d of %d differences are in the page", name, n, len(r.Differences))
		}
	}

	// The same page with markup that got through: the policy holds it off, and
	// says so. Without the policy it asks, and we notice.
	url := saved(t, quiet(), "")
	path := strings.TrimPrefix(url, "file://")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(text), "</main>", `<img src="http://192.0.2.1/x.png" onerror="document.title='broken'"><script>document.title="broken"</script></main>`, 1)
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if page := browse(t, url); page.asked != nil || page.console == nil || strings.Contains(page.dom, "<title>broken") {
		t.Errorf("the policy did not hold: asked is %q, the console says %q", page.asked, page.console)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(broken, "Content-Security-Policy", "x", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if page := browse(t, url); !slices.Contains(page.asked, "GET 192.0.2.1") || !strings.Contains(page.dom, "<title>broken") {
		t.Errorf("asked is %q without the policy: this test would see nothing", page.asked)
	}
}

// The page is drawn; with -update its picture becomes the one in docs.
func TestBrowserPicture(t *testing.T) {
	url := saved(t, shop(), `document.getElementById("difference-1").open = true;`)
	shot := filepath.Join(t.TempDir(), "report.png")
	browse(t, url, "--screenshot="+shot, "--window-size=1200,2200")
	p, err := os.ReadFile(shot)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(p))
	if err != nil {
		t.Fatal(err)
	}
	if b := picture.Bounds(); b.Dx() != 1200 || b.Dy() != 2200 {
		t.Fatalf("the picture has %d x %d pixels", b.Dx(), b.Dy())
	}
	colors := map[color.Color]bool{}
	for y := range 2200 {
		for x := 0; x < 1200; x += 7 {
			colors[picture.At(x, y)] = true
		}
	}
	if len(colors) < 50 {
		t.Errorf("the picture has %d colours: nothing is drawn", len(colors))
	}
	if !*update {
		return
	}
	var b bytes.Buffer
	small := paletted(picture, image.Rect(0, 0, 1200, 1900)) // down to the first plots
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, small); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 200_000 {
		t.Errorf("the picture has %d bytes, which is too much to keep", b.Len())
	}
	if err := os.WriteFile(filepath.Join("..", "docs", "report.png"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// paletted reduces a part of a picture to 256 colours: half of them its most
// frequent ones, of which a page has few, half those that are farthest from
// what is there already.
func paletted(m image.Image, part image.Rectangle) *image.Paletted {
	counts := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(m.At(x, y)).(color.RGBA) }
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	var colors []color.RGBA
	for c := range counts {
		colors = append(colors, c)
	}
	number := func(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }
	slices.SortFunc(colors, func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], number(a)-number(b))
	})
	var p color.Palette
	const frequent = 128
	for _, c := range colors[:min(len(colors), frequent)] {
		p = append(p, c)
	}
	distance := func(a, b color.RGBA) int {
		r, g, u := int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B)
		return r*r + g*g + u*u
	}
	nearest := map[color.RGBA]int{}
	for _, c := range colors {
		nearest[c] = 1 << 30
		for _, have := range p {
			nearest[c] = min(nearest[c], distance(c, have.(color.RGBA)))
		}
	}
	for len(p) < min(len(colors), 256) {
		farthest := colors[0]
		for _, c := range colors {
			if nearest[c] > nearest[farthest] {
				farthest = c
			}
		}
		p = append(p, farthest)
		for _, c := range colors {
			nearest[c] = min(nearest[c], distance(c, farthest))
		}
	}
	index := map[color.RGBA]uint8{}
	small := image.NewPaletted(part, p)
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			c := at(x, y)
			i, ok := index[c]
			if !ok {
				i = uint8(p.Index(c))
				index[c] = i
			}
			small.SetColorIndex(x, y, i)
		}
	}
	return small
}
