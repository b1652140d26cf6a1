// Shows the API's document in the viewer. Its own file: the page allows no inline script.
/* global SwaggerUIBundle */

window.addEventListener("DOMContentLoaded", () => {
  SwaggerUIBundle({
    url: "openapi.json", // beside the page, wherever that is mounted
    dom_id: "#viewer",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    validatorUrl: null, // nothing is sent elsewhere
    presets: [SwaggerUIBundle.presets.apis],
  });
});
