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

  // Sections that stay true.
  const stream = document.body.dataset.stream;
  if (!stream || !window.htmx || !window.EventSource) return;
  const soon = 400, rest = 2000, again = 30000; // milliseconds
  const state = new Map(); // by id: what is due

  const busy = (section) => section.contains(document.activeElement) && document.activeElement.matches("input, textarea, select, button, summary") ||
    section.querySelector("input:checked, details.act[open], dialog[open]") !== null;

  const fetchSection = (id) => {
    const section = document.getElementById(id);
    if (!section) return;
    const s = state.get(id);
    s.timer = 0;
    if (busy(section)) { hold(section, s); return; }
    s.last = Date.now();
    s.news = 0;
    htmx.ajax("GET", location.pathname + location.search, { source: section, target: section, select: "#" + CSS.escape(id), swap: "outerHTML" });
  };
  const due = (id, wait) => {
    const s = state.get(id) || { last: 0, timer: 0, news: 0 };
    state.set(id, s);
    if (!s.timer) s.timer = setTimeout(fetchSection, Math.max(wait, s.last + rest - Date.now()), id);
  };
  // A list in which somebody works does not jump: it says how much is new.
  const hold = (section, s) => {
    let note = section.querySelector(":scope > .news");
    if (!note) {
      note = document.createElement("p");
      note.className = "news";
      note.setAttribute("role", "status");
      const link = document.createElement("a");
      link.href = location.pathname + location.search;
      note.append(link);
      section.prepend(note);
    }
    note.firstChild.textContent = `${s.news} new`;
  };
  const sections = () => document.querySelectorAll("[data-live][id]");
  const refresh = () => { for (const e of sections()) due(e.id, 0); };
  const happened = (event) => {
    let kind = "";
    try { kind = JSON.parse(event.data).kind || ""; } catch { return; }
    const noun = kind.split(".")[0];
    for (const e of sections()) {
      if (!e.dataset.live.split(" ").includes(noun)) continue;
      due(e.id, soon);
      state.get(e.id).news++;
    }
  };
  document.body.addEventListener("htmx:afterSettle", (e) => retime(e.target.parentElement || document));
  setInterval(() => { if (!document.hidden) refresh(); }, again);

  // The connection. A hidden page has none: browsers open few to one gateway.
  const shows = document.getElementById("connection");
  let source = null, since = null, retry = 0;
  const say = (text, bad) => { shows.textContent = text; shows.className = bad ? "bad" : "good"; };
  const lost = () => {
    since = since || new Date();
    say(`not connected since ${clock(since)}`, true);
  };
  const connect = () => {
    clearTimeout(retry);
    if (source) source.close();
    source = new EventSource(stream);
    source.onopen = () => {
      if (since) refresh();
      since = null;
      say("live", false);
    };
    source.onmessage = happened;
    source.addEventListener("gap", refresh);
    source.onerror = () => {
      lost();
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(connect, 2000); // what was answered is no stream
    };
  };
  connect();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(retry);
      source.close();
      since = since || new Date();
    } else {
      connect();
    }
  });
  addEventListener("pagehide", () => source.close());
})();
