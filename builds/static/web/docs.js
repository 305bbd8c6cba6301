"use strict";

// The page lists the operations by itself. Swagger UI, which is large, is loaded when it is asked for, by the
// button or by an address that names an operation.
(() => {
  const docs = document.getElementById("docs");
  const more = document.getElementById("more");

  // The layout of Swagger UI has a landmark "main" within that of the page. The wrapped components cannot be
  // used well by keyboards and screen readers: a link inside a button, and a choice without a label among one
  // server.
  const accessible = (system) => ({
    components: {
      PageLayout: ({ getComponent, specSelectors }) => {
        const element = system.React.createElement;
        const part = (name, style) =>
          element("div", { key: name, className: style }, element(getComponent(name, true)));
        const status = specSelectors.loadingStatus();
        const ready = status === "success";
        return element(
          "div",
          { className: "swagger-ui" },
          part("SvgAssets"),
          part("errors", "wrapper"),
          !ready && element("p", { role: "status" }, status === "loading" ? "Loading." : "Loading failed."),
          ready && part("InfoContainer", "wrapper"),
          ready && part("AuthorizeBtnContainer", "schemes wrapper"),
          ready && part("operations", "wrapper"),
          ready && part("Models", "wrapper"),
        );
      },
    },
    wrapComponents: {
      DeepLink: (Original, system) => ({ text }) => system.React.createElement("span", null, text),
      ServersContainer: () => () => null,
    },
  });

  // Name choices that have no label, and let keyboards scroll examples, whenever an operation is opened. The
  // title is below that of the page.
  function improve() {
    for (const title of docs.querySelectorAll("h1:not([aria-level])")) {
      title.setAttribute("aria-level", "2");
    }
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
      layout: "PageLayout",
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
