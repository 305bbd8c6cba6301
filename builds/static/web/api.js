"use strict";

// Sends forms with methods that browsers cannot send, then reloads the page or shows the error.
for (const form of document.querySelectorAll("form[data-method]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fault = form.querySelector("[role=alert]");
    fault.hidden = true;
    try {
      const response = await fetch(form.action, {
        method: form.dataset.method,
        headers: { Accept: "application/json" },
        body: new FormData(form),
      });
      if (response.ok && form.dataset.method === "DELETE") {
        form.querySelector("[role=status]").hidden = false;
        form.querySelector("button").disabled = true;
        return;
      }
      if (response.ok) {
        location.reload();
        return;
      }
      const answer = await response.json();
      fault.textContent = `${answer.message} ${answer.hint || ""}`;
    } catch {
      fault.textContent = "The service did not answer. Try again.";
    }
    fault.hidden = false;
  });
}
