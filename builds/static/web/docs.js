"use strict";

// Replaces two components that are not accessible: a link inside a button, and a list of servers without a label.
const accessible = () => ({
  wrapComponents: {
    DeepLink: (Original, system) => ({ text }) => system.React.createElement("span", null, text),
    ServersContainer: () => () => null,
  },
});

// When an operation is opened, adds labels to lists and makes examples scrollable by keyboard.
new MutationObserver(() => {
  for (const choice of document.querySelectorAll("#docs select:not([aria-label])")) {
    choice.setAttribute("aria-label", choice.matches(".examples-select-element") ? "Example" : "Value");
  }
  for (const button of document.querySelectorAll("#docs .close-modal:not([aria-label])")) {
    button.setAttribute("aria-label", "Close");
  }
  for (const example of document.querySelectorAll("#docs pre:not([tabindex])")) {
    example.tabIndex = 0;
  }
}).observe(document.getElementById("docs"), { childList: true, subtree: true });

// Shows the OpenAPI document.
SwaggerUIBundle({
  url: document.getElementById("docs").dataset.schema,
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  plugins: [accessible],
  syntaxHighlight: false,
  validatorUrl: null,
});
