"use strict";

// Keeps a page up to date: asks the server for the same page and takes over what has changed in the
// elements marked data-live. [data-refresh] says every how many seconds, and shows how it goes;
// [data-events] is the address of a stream of events, after each of which the page is loaded at once.
(() => {
  const status = document.querySelector("[data-refresh]");
  if (!status) return;
  let paused = false;
  let asking = false;
  let timer = 0;
  let stream = null;

  const text = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  button.addEventListener("click", () => {
    paused = !paused;
    show(paused ? "Paused." : "");
    if (!paused) refresh();
  });
  // The button stays out of the live region, which would be read aloud with it.
  status.append(text);
  status.after(button);
  show("");

  function show(message) {
    const every = Number(status.dataset.refresh);
    const live = stream && stream.readyState === EventSource.OPEN;
    const said = message || (live ? "Live." : `Refreshes every ${every} s.`);
    if (text.textContent !== said) text.textContent = said;
    button.textContent = paused ? "Go on" : "Pause";
  }

  async function refresh() {
    if (asking || paused || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of document.querySelectorAll("[data-live]")) {
        const now = fresh.getElementById(old.id);
        if (now) follow(old, now);
      }
      adopt(fresh.querySelector("[data-refresh]"));
      document.title = fresh.title;
      show("");
    } catch (error) {
      show("The server does not answer; trying again.");
    } finally {
      asking = false;
      plan();
    }
  }

  function plan() {
    clearTimeout(timer);
    const live = stream && stream.readyState === EventSource.OPEN;
    timer = setTimeout(refresh, 1000 * Number(status.dataset.refresh) * (live ? 5 : 1));
  }

  // A build that is over is looked at less often, and no longer listened to.
  function adopt(fresh) {
    if (!fresh) return;
    status.dataset.refresh = fresh.dataset.refresh;
    if (!fresh.dataset.events) {
      delete status.dataset.events;
      if (stream) stream.close();
      stream = null;
    } else if (!stream) {
      status.dataset.events = fresh.dataset.events;
      listen();
    }
  }

  // Any event only says that there is something new: what it is, the page itself says.
  function listen() {
    if (document.hidden || !status.dataset.events || !window.EventSource) return;
    stream = new EventSource(status.dataset.events);
    let soon = 0;
    const heard = () => {
      clearTimeout(soon);
      soon = setTimeout(refresh, 200);
    };
    for (const kind of ["state", "batch", "component", "log", "end"]) stream.addEventListener(kind, heard);
    stream.addEventListener("open", () => show(""));
    stream.addEventListener("error", () => show(""));
  }

  // Make one tree like another and touch only what differs, so that focus and selection stay.
  function follow(old, fresh) {
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      // What a person has opened stays open.
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    const known = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    let place = old.firstChild;
    for (const node of [...fresh.childNodes]) {
      const same = node.id ? known.get(node.id) : alike(place, node) ? place : null;
      if (!same) {
        old.insertBefore(document.importNode(node, true), place);
      } else if (same === place) {
        place = place.nextSibling;
      } else {
        old.insertBefore(same, place);
      }
      if (same && same.nodeType === Node.ELEMENT_NODE) follow(same, node);
      else if (same && same.data !== node.data) same.data = node.data;
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  }

  function alike(old, fresh) {
    return old && !old.id && old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName;
  }

  // A browser opens at most six connections to a server without HTTP/2. So only visible pages listen.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      if (stream) stream.close();
      stream = null;
    } else {
      if (!stream) listen();
      refresh();
    }
  });
  listen();
  show("");
  plan();
})();
