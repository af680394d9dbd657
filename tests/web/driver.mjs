// node driver.mjs REQUEST.json RESULT.json: run a library in headless Chromium, whose
// software adapter does what a GPU would. The request names "packages", the folder in
// which npm installed; "chromium", "library" and "model", a folder; and what model.mjs
// reads of it.

import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";

const TYPES = { ".mjs": "text/javascript", ".js": "text/javascript", ".json": "application/json" };
const FLAGS = ["--no-sandbox", "--headless=new", "--enable-unsafe-webgpu"];

const [, , requestFile, resultFile] = process.argv;
const request = JSON.parse(fs.readFileSync(requestFile, "utf8"));
const require = createRequire(path.join(request.packages, "package.json"));
const runtime = require.resolve("@mlc-ai/web-runtime");
fs.writeFileSync(resultFile, JSON.stringify(await inBrowser()));
process.exit(0);

async function inBrowser() {
  const server = http.createServer(serve);
  await new Promise((done) => server.listen(0, "localhost", done));
  const { chromium } = require("playwright-core");
  const browser = await chromium.launch({ executablePath: request.chromium, args: FLAGS });
  try {
    const page = await browser.newPage();
    page.on("console", (message) => console.log(message.text()));
    page.on("pageerror", (error) => console.error(error));
    const home = `http://localhost:${server.address().port}`;
    await page.goto(`${home}/page`);
    await page.addScriptTag({ url: "/runtime.js" });
    const asked = { ...request, weights: `${home}/model/` };
    return await page.evaluate(async (asked) => {
      const { run } = await import("/model.mjs");
      const bytes = await (await fetch("/library")).arrayBuffer();
      return run(globalThis.tvmjs, bytes, asked);
    }, asked);
  } finally {
    await browser.close();
    server.close();
  }
}

function serve({ url }, response) {
  const files = {
    "/runtime.js": runtime,
    "/library": request.library,
    "/model.mjs": path.join(path.dirname(process.argv[1]), "model.mjs"),
  };
  const file = files[url] ?? path.join(request.model, path.basename(url));
  if (url === "/page") {
    response.setHeader("content-type", "text/html").end("<!doctype html>");
  } else if (fs.existsSync(file)) {
    response.setHeader("content-type", TYPES[path.extname(file)] ?? "application/octet-stream");
    response.end(fs.readFileSync(file));
  } else {
    response.writeHead(404).end();
  }
}
