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

  // The stream, unless the page is hidden or the log has ended; and the address of what follows.
  let stream = null;
  let ended = false;
  const address = new URL(status.dataset.tail, location.href);
  const stop = () => {
    if (stream) stream.close();
    stream = null;
  };

  function connect() {
    stream = new EventSource(address);
    const on = (kind, act) =>
      stream.addEventListener(kind, (event) => {
        const place = /^([0-9]+)-([0-9]+)-([0-9]+)$/.exec(event.lastEventId || "");
        if (place) ["task", "from", "line"].forEach((name, index) => address.searchParams.set(name, place[index + 1]));
        act(event);
      });
    on("open", () => show("Live: lines appear as the build writes them."));
    on("error", () => {
      const refused = stream && stream.readyState === EventSource.CLOSED;
      show(refused ? "Not live: reload the page to see new lines." : "The server does not answer; trying again.");
    });
    on("lines", (event) => add(JSON.parse(event.data)));
    on("skipped", () => lines.appendChild(document.createElement("pre")).append("… lines were left out: the build writes faster than they are shown …\n"));
    on("replaced", () => finish("The component is built again: load the page again for the new log."));
    on("end", () => {
      box.remove();
      label.remove();
      finish("The build has ended; this is the end of its log.");
    });
  }

  // The server has escaped what the lines say; see builds/web/log_html.py.
  function add(news) {
    let last = lines.querySelector(":scope > :last-child pre, :scope > pre:last-child");
    if (news.more && !last) last = lines.appendChild(document.createElement("pre"));
    if (news.more) last.insertAdjacentHTML("beforeend", news.more);
    if (news.groups) lines.insertAdjacentHTML("beforeend", news.groups);
    const all = lines.getElementsByClassName("line");
    while (all.length > MOST) all[0].remove();
    end();
  }

  function finish(text) {
    ended = true;
    stop();
    show(text);
  }

  // A browser opens at most six connections to a server without HTTP/2: more hidden tabs with logs would
  // keep all other pages of the service from loading. So a hidden page stops, and goes on when it is shown.
  document.addEventListener("visibilitychange", () => {
    if (ended) return;
    if (document.hidden) stop();
    else if (!stream) connect();
  });
  if (!document.hidden) connect();
  end();
})();
