"use strict";

// The key / goes to the search box of the page, unless something is being typed.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey || typing) return;
  const box = document.querySelector("header input[type=search]");
  if (!box) return;
  event.preventDefault();
  box.focus();
  box.select();
});
