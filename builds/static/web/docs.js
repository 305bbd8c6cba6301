"use strict";

// The page lists the operations by itself. Swagger UI, which is large, is loaded when it is asked for, by the
// button or by an address that names an operation.
(() => {
  const docs = document.getElementById("docs");
  const more = document.getElementById("more");

  // Two components that keyboards and screen readers cannot use well: a link inside a button, and a choice
  // without a label among one server.
  const accessible = () => ({
    wrapComponents: {
      DeepLink: (Original, system) => ({ text }) => system.React.createElement("span", null, text),
      ServersContainer: () => () => null,
    },
  });

  // Name choices that have no label, and let keyboards scroll examples, whenever an operation is opened.
  function improve() {
    for (const choice of docs.querySelectorAll("select:not([aria-label])")) {
      choice.setAttribute("aria-label", choice.matches(".examples-select-element") ? "Example" : "Value");
    }
    for (const button of docs.querySelectorAll(".close-modal:not([aria-label])")) {
      button.setAttribute("aria-label", "Close");
    }
    for (const example of docs.querySelectorAll("pre:not([tabindex])")) {
      example.tabIndex = 0;
    }
  }

  function show() {
    new MutationObserver(improve).observe(docs, { childList: true, subtree: true });
    SwaggerUIBundle({
      url: docs.dataset.schema,
      dom_id: "#docs",
      deepLinking: true,
      defaultModelsExpandDepth: 0,
      docExpansion: "list",
      plugins: [accessible],
      syntaxHighlight: false,
      validatorUrl: null,
    });
    more.hidden = true;
  }

  function load() {
    more.querySelector("button").disabled = true;
    for (const address of docs.dataset.styles.split(" ")) {
      document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: address }));
    }
    const script = Object.assign(document.createElement("script"), { src: docs.dataset.script });
    script.addEventListener("load", show);
    document.head.append(script);
  }

  more.hidden = false;
  more.querySelector("button").addEventListener("click", load);
  const asked = () => {
    if (location.hash.startsWith("#/") && !more.querySelector("button").disabled) load();
  };
  window.addEventListener("hashchange", asked);
  asked();
})();
