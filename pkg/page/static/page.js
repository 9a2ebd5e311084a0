// What the page does beyond HTML: times in the reader's zone, ages that go on, and sections that stay true. Without it every
// view reads and every form works.
"use strict";
(() => {
  const two = (n) => String(n).padStart(2, "0");
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const zone = new Date().toLocaleTimeString("en-GB", { timeZoneName: "short" }).split(" ").pop();
  const clock = (t) => `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
  const absolute = (t) => `${t.getDate()} ${months[t.getMonth()]} ${t.getFullYear()}, ${clock(t)} ${zone}`;

  const age = (t) => {
    const s = Math.round((Date.now() - t) / 1000);
    const words = s < 0 ? "from now" : "ago";
    const a = Math.abs(s);
    for (const [unit, seconds] of [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]) {
      const n = Math.floor(a / seconds);
      if (n > 0) return `${n} ${unit}${n === 1 ? "" : "s"} ${words}`;
    }
    return "now";
  };

  const retime = (root) => {
    for (const e of root.querySelectorAll("time[datetime]")) {
      const t = new Date(e.dateTime);
      if (!isNaN(t)) e.textContent = absolute(t);
    }
    recount(root);
  };
  const recount = (root) => {
    for (const e of root.querySelectorAll(".ago")) {
      const t = e.parentElement.querySelector(":scope > .ago ~ small > time");
      if (t) e.textContent = age(new Date(t.dateTime));
    }
  };
  retime(document);
  document.addEventListener("page:put", (e) => retime(e.target)); // another script has put something in
  setInterval(() => recount(document), 10000);

  // Plots. The library comes behind this file, and the table beside a plot says the same.
  const draw = (figure) => {
    const { times, series } = JSON.parse(figure.dataset.plot);
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    figure.hidden = false;
    const axis = { stroke: colour("--front"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
    const shape = () => ({ width: figure.clientWidth, height: 200 });
    const hours = (_, ticks) => ticks.map((s) => {
      const t = new Date(s * 1000);
      return t.getHours() === 0 ? `${t.getDate()} ${months[t.getMonth()]}` : `${two(t.getHours())}:00`;
    });
    const plot = new uPlot({
      ...shape(), cursor: { drag: { x: false } }, legend: { live: false }, axes: [{ ...axis, values: hours, incrs: [6 * 3600, 12 * 3600] }, { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }],
      series: [{ label: "hours" }, ...series.map((line, i) => ({ label: line.name || "unknown", stroke: colour(`--shade${i}`), width: 2, points: { show: false } }))],
    }, [times, ...series.map((line) => line.counts)], figure);
    addEventListener("resize", () => plot.setSize(shape()));
  };
  document.addEventListener("DOMContentLoaded", () => { if (window.uPlot) document.querySelectorAll("[data-plot]").forEach(draw); });

  // What is to be pasted elsewhere has a button. Without TLS a browser has no clipboard, and copies what is chosen.
  const copies = (root) => {
    for (const text of root.querySelectorAll("pre[data-copy]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copies";
      button.textContent = "Copy it";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(text.innerText);
        } catch {
          getSelection().selectAllChildren(text);
          document.execCommand("copy");
        }
        button.textContent = "Copied";
      });
      text.before(button);
    }
  };
  copies(document);

  // Sections that stay true. The stream says of what something has changed; the page is then asked for once more, and what is
  // other of its sections is put in.
  const stream = document.body.dataset.stream;
  if (!stream || !window.EventSource || !window.fetch) return;
  const rest = 500, seldom = 10000, again = 30000; // milliseconds
  const shows = document.getElementById("connection");
  const say = (text, bad) => { if (shows.textContent !== text) shows.textContent = text; shows.className = bad ? "bad" : "good"; };
  const sections = () => [...document.querySelectorAll("[data-live][id]")];

  let due = new Set(); // ids
  let timer = 0, at = 0, last = 0, took = 0, asking = false;
  const plan = (ids, pause) => {
    for (const id of ids) due.add(id);
    if (!due.size || asking || document.hidden) return;
    const then = Math.max(Date.now() + 50, last + pause, last + 8 * took); // a gateway with much to do is asked less
    if (timer && at <= then) return;
    clearTimeout(timer);
    at = then;
    timer = setTimeout(ask, then - Date.now());
  };
  const refresh = () => plan(sections().map((e) => e.id), 0);
  const ask = async () => {
    timer = 0;
    const ids = due, began = Date.now();
    due = new Set();
    asking = true;
    try {
      const answer = await fetch(location.pathname + location.search, { headers: { "Slipway-Live": "yes" }, cache: "no-store" });
      if (answer.ok) {
        const found = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const id of ids) put(document.getElementById(id), found.getElementById(id));
      } else if (answer.status === 401) {
        say("signed out: reload the page", true);
      }
    } catch {
      ids.forEach((id) => due.add(id)); // the connection comes back, or the next half minute
    }
    last = Date.now();
    took = last - began;
    asking = false;
    if (due.size && source && source.readyState === EventSource.OPEN) plan([], rest);
  };

  // Ages go on by themselves: they are no news.
  const plain = (e) => { const c = e.cloneNode(true); retime(c); for (const a of c.querySelectorAll(".ago, .news, .copies, [data-plot] > *")) a.remove(); c.classList.remove("fresh"); return c.outerHTML; };
  const same = (a, b) => plain(a) === plain(b);
  const busy = (e) => e.contains(document.activeElement) && document.activeElement.matches("input, textarea, select, button, summary") ||
    e.querySelector("input:checked, details.act[open], dialog[open]") !== null;
  const rowsOf = (section) => new Map([...section.querySelectorAll("tbody > tr")].map((row) => {
    const link = row.querySelector("a[href]");
    return [row.dataset.row || (link ? link.getAttribute("href") : row.textContent), row];
  }));
  const swap = (now, next) => {
    const open = [...now.querySelectorAll("details")].map((d) => d.open);
    const details = next.querySelectorAll("details");
    if (details.length === open.length) details.forEach((d, i) => { d.open = open[i]; });
    const at = now.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    next = document.adoptNode(next);
    now.replaceWith(next);
    retime(next);
    copies(next);
    if (window.uPlot) next.querySelectorAll("[data-plot]").forEach(draw);
    if (at) { const link = next.querySelector(`a[href="${CSS.escape(at)}"]`); if (link) link.focus({ preventScroll: true }); }
    return next;
  };
  let wantsAll = ""; // the id of a list whose new rows were asked for
  const put = (now, next) => {
    if (!now || !next || same(now, next)) return;
    const list = now.hasAttribute("data-hold");
    const before = rowsOf(now), after = rowsOf(next);
    const fresh = [...after.keys()].filter((key) => !before.has(key));
    const reads = list && fresh.length > 0 && now.getBoundingClientRect().top < 0;
    if ((busy(now) || reads) && wantsAll !== now.id) {
      for (const [key, row] of after) {
        const old = before.get(key);
        if (old && !busy(old) && !same(old, row)) swap(old, row);
      }
      hold(now, list && fresh.length ? `${fresh.length} new` : list ? "" : "There is something new");
      return;
    }
    wantsAll = "";
    now = swap(now, next);
    for (const key of fresh) if (before.size || list) after.get(key).classList.add("fresh");
  };
  // A list in which somebody reads or works does not jump: it says how much is new.
  const hold = (section, text) => {
    let note = section.querySelector(":scope > .news");
    if (!text) { if (note) note.remove(); return; }
    if (!note) {
      note = document.createElement("p");
      note.className = "news";
      note.setAttribute("role", "status");
      const link = document.createElement("a");
      link.href = location.pathname + location.search;
      link.addEventListener("click", (e) => {
        e.preventDefault();
        wantsAll = section.id;
        document.getElementById(section.id).scrollIntoView();
        plan([section.id], 0);
      });
      note.append(link);
      section.prepend(note);
    }
    if (note.firstChild.textContent !== text) note.firstChild.textContent = text;
  };

  const changed = (event) => {
    const nouns = event.data.split(" "), soon = [], later = [];
    for (const e of sections()) {
      const of = e.dataset.live.split(" ").filter((noun) => nouns.includes(noun) || nouns.includes("everything"));
      if (of.length) (of.every((noun) => noun === "sighting") ? later : soon).push(e.id); // devices are seen all the time
    }
    plan(later, seldom);
    plan(soon, rest);
  };
  setInterval(() => { if (source && source.readyState === EventSource.OPEN) refresh(); }, again);

  // The connection. A hidden page has none: browsers open few to one gateway.
  const silence = 40000; // milliseconds: the stream says something every 15 seconds
  let source = null, since = null, retry = 0, heard = Date.now(), pause = 2000;
  const lost = () => {
    since = since || new Date();
    say(`not connected since ${clock(since)}`, true);
  };
  let mark = "";
  const hear = (then) => (event) => { heard = Date.now(); mark = event.lastEventId || mark; then(event); };
  const connect = () => {
    clearTimeout(retry);
    if (source) source.close();
    heard = Date.now();
    source = new EventSource(mark ? stream.replace(/since=.*/, "since=" + encodeURIComponent(mark)) : stream);
    source.onopen = hear(() => {
      since = null;
      pause = 2000;
      say("live", false);
      if (due.size) plan([], 0);
    });
    source.onmessage = hear(changed);
    source.addEventListener("here", hear(() => {}));
    source.onerror = () => {
      lost();
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      clearTimeout(retry);
      retry = setTimeout(connect, pause); // what was answered is no stream
      pause = Math.min(pause * 2, again);
    };
  };
  const leave = () => {
    clearTimeout(retry);
    if (source) source.close();
    source = null;
  };
  setInterval(() => { if (source && source.readyState === EventSource.OPEN && Date.now() - heard > silence) { lost(); connect(); } }, 5000);
  connect();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { leave(); since = since || new Date(); } else { connect(); }
  });
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (e) => { if (e.persisted) connect(); });
})();
