// An upload with its progress: without this file the form sends itself, and says nothing until all is there.
"use strict";
(() => {
  const form = document.querySelector("form.upload");
  if (!form || form.dataset.ready) return;
  const main = document.getElementById("main");
  const size = (n) => {
    const units = ["B", "KiB", "MiB", "GiB"];
    let i = 0;
    for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
    return `${i && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
  };

  const ready = (form) => {
    form.dataset.ready = "yes";
    const file = form.querySelector("input[type=file]"), drop = form.querySelector(".drop"), send = form.querySelector("button.main");
    const stop = form.querySelector(".stop"), sending = form.querySelector(".sending"), bar = form.querySelector("progress"), status = sending.querySelector("[role=status]");
    form.querySelector(".hint").hidden = false;

    // What is dropped is chosen, and sent by the button: a slip of the mouse publishes nothing.
    drop.addEventListener("dragover", (e) => { e.preventDefault(); drop.classList.add("over"); });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (e) => {
      e.preventDefault();
      drop.classList.remove("over");
      if (!e.dataTransfer.files.length) return;
      file.files = e.dataTransfer.files;
      send.focus();
    });

    const say = (text) => { status.textContent = text; };
    const busy = (now) => {
      stop.hidden = !now;
      send.disabled = now;
      window.onbeforeunload = now ? (e) => e.preventDefault() : null;
    };
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      const chosen = file.files[0];
      const asked = new XMLHttpRequest();
      sending.hidden = false;
      bar.value = 0;
      let told = -1; // in tens: a screen reader is not to read each one
      busy(true);
      stop.focus();
      say(`Sending ${chosen.name}, ${size(chosen.size)}`);
      asked.upload.onprogress = (at) => {
        if (!at.lengthComputable) return;
        const percent = Math.floor(100 * at.loaded / at.total);
        bar.value = percent;
        if (Math.floor(percent / 10) === told) return;
        told = Math.floor(percent / 10);
        say(percent < 100 ? `${percent} % of ${size(chosen.size)}` : "All is there; the gateway checks it");
      };
      asked.onload = () => {
        busy(false);
        const came = new DOMParser().parseFromString(asked.responseText, "text/html").getElementById("main");
        if (!came) { say(`The gateway answered ${asked.status}, and no page. Nothing is known of the upload: look below.`); return; }
        history.replaceState(null, "", asked.status === 200 ? asked.responseURL : form.action.replace(/\/upload$/, ""));
        main.replaceChildren(...came.childNodes);
        const next = main.querySelector("form.upload");
        if (next) ready(next);
        main.dispatchEvent(new Event("page:put", { bubbles: true })); // times become the reader's
        main.focus();
        scrollTo(0, 0);
      };
      asked.onerror = () => { busy(false); say("The connection broke. Nothing was stored, unless what is below says otherwise: upload it again."); send.focus(); };
      asked.onabort = () => { busy(false); say("Stopped. Nothing was stored."); send.focus(); };
      asked.open("POST", form.action);
      asked.setRequestHeader("Accept", "text/html");
      asked.send(new FormData(form));
      stop.onclick = () => asked.abort();
    });
  };
  ready(form);

  // Whoever drags a file sees where it goes. One that misses its place would be opened by the browser, and the page be gone.
  addEventListener("dragenter", () => {
    const folded = document.querySelector("details:has(> form.upload)");
    if (folded) folded.open = true;
  });
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (e) => e.preventDefault());
})();
