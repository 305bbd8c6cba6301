"use strict";

// Names the inputs of Django's admin that have no label, and the icons that only have a description, makes cells
// of empty headers, and lets wide tables be scrolled by keyboard. Some of them are made by the admin's own scripts.
function name() {
  for (const input of document.querySelectorAll("#searchbar:not([aria-label])")) {
    input.setAttribute("aria-label", "Search");
  }
  for (const input of document.querySelectorAll(".vDateField:not([aria-label]), .vTimeField:not([aria-label])")) {
    const field = input.closest(".form-row, fieldset")?.querySelector("legend, label");
    const part = input.matches(".vDateField") ? "date" : "time";
    input.setAttribute("aria-label", `${field ? field.textContent.replace(/[\s:]+$/, "") : "Value"}: ${part}`);
  }
  // A header without text is no header.
  for (const head of document.querySelectorAll("th:empty")) {
    head.replaceWith(document.createElement("td"));
  }
  // A table that is wider than a phone scrolls, by keyboard too.
  for (const table of document.querySelectorAll(".inline-group .tabular:not([tabindex])")) {
    table.setAttribute("role", "group");
    table.setAttribute("aria-label", table.querySelector("h2")?.textContent.trim() || "Rows");
    table.tabIndex = 0;
  }
  for (const icon of document.querySelectorAll(".help-tooltip[aria-label]:not([role])")) {
    icon.setAttribute("role", "img");
  }
}

name();
new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
