"use strict";

// The page of a log: shows lines as they are written, and finds lines that the address names.
(() => {
  const lines = document.getElementById("lines");
  const status = document.getElementById("tail");
  // Lines that stay on the page while a build writes more.
  const MOST = 20000;

  const wanted = /^#L([0-9]{1,15})$/.exec(location.hash);
  if (lines && wanted && !document.getElementById(`L${wanted[1]}`)) {
    const query = new URLSearchParams(location.search);
    if (query.get("line") !== wanted[1]) {
      query.delete("from");
      query.delete("until");
      query.set("line", wanted[1]);
      location.replace(`${location.pathname}?${query}${location.hash}`);
    }
  }
  if (!lines || !status || !window.EventSource) return;

  const box = document.createElement("input");
  box.type = "checkbox";
  box.id = "follow";
  box.checked = !location.hash;
  const label = document.createElement("label");
  label.htmlFor = box.id;
  label.textContent = "Scroll to what is new";
  status.after(box, " ", label);
  const end = () => box.checked && status.scrollIntoView({ block: "end" });
  const show = (text) => {
    if (status.textContent !== text) status.textContent = text;
  };

  const stream = new EventSource(status.dataset.tail);
  stream.addEventListener("open", () => show("Live: lines appear as the build writes them."));
  stream.addEventListener("error", () => {
    const refused = stream.readyState === EventSource.CLOSED;
    show(refused ? "Not live: reload the page to see new lines." : "The server does not answer; trying again.");
  });
  // The server has escaped what the lines say; see builds/web/log_html.py.
  stream.addEventListener("lines", (event) => {
    const news = JSON.parse(event.data);
    let last = lines.querySelector(":scope > :last-child pre, :scope > pre:last-child");
    if (news.more && !last) last = lines.appendChild(document.createElement("pre"));
    if (news.more) last.insertAdjacentHTML("beforeend", news.more);
    if (news.groups) lines.insertAdjacentHTML("beforeend", news.groups);
    const all = lines.getElementsByClassName("line");
    while (all.length > MOST) all[0].remove();
    end();
  });
  stream.addEventListener("skipped", () => lines.appendChild(document.createElement("pre")).append("… lines were left out: the build writes faster than they are shown …\n"));
  stream.addEventListener("replaced", () => {
    stream.close();
    show("The component is built again: load the page again for the new log.");
  });
  stream.addEventListener("end", () => {
    stream.close();
    box.remove();
    label.remove();
    show("The build has ended; this is the end of its log.");
  });
  end();
})();
