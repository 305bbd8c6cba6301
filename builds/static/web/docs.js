"use strict";

// Two components that keyboards and screen readers cannot use well: a link inside a button, and a choice
// without a label among one server.
const accessible = () => ({
  wrapComponents: {
    DeepLink: (Original, system) => ({ text }) => system.React.createElement("span", null, text),
    ServersContainer: () => () => null,
  },
});

// Names choices that have no label, and lets keyboards scroll examples, whenever an operation is opened.
new MutationObserver(() => {
  for (const choice of document.querySelectorAll("#docs select:not([aria-label])")) {
    choice.setAttribute("aria-label", choice.matches(".examples-select-element") ? "Example" : "Value");
  }
  for (const example of document.querySelectorAll("#docs pre:not([tabindex])")) {
    example.tabIndex = 0;
  }
}).observe(document.getElementById("docs"), { childList: true, subtree: true });

// Shows the OpenAPI document that the page names.
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
