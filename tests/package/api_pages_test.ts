import { assert, assertEquals } from "@std/assert";
import { fileURLToPath, pathToFileURL } from "node:url";
import config from "../../deno.json" with { type: "json" };

const root = new URL("../../", import.meta.url);

/** Every page below a folder. */
async function* pages(folder: URL): AsyncGenerator<URL> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* pages(new URL(`${name}/`, folder));
    else if (name.endsWith(".html")) yield new URL(name, folder);
  }
}

/** The pages of the same site that a page links to. */
function links(html: string, page: URL): URL[] {
  const targets = [...html.matchAll(/<a [^>]*href="([^"]+)"/g)]
    .map(([, target]) => target.replaceAll("&#x2F;", "/").replaceAll("&amp;", "&").split("#")[0]);
  return targets.filter((target) => target && !/^\w+:/.test(target)).map((target) => {
    const link = new URL(target, page);
    return link.href.endsWith("/") ? new URL("index.html", link) : link;
  });
}

/** What a reader sees of a page. */
function words(html: string): string {
  const [, main = ""] = /<main\b[^>]*>(.*)<\/main>/s.exec(html) ?? [];
  return main.replaceAll(/<(script|style)\b.*?<\/\1>/gs, "").replaceAll(/<[^>]+>/g, " ");
}

Deno.test("The pages of the API reference have no broken link and no empty page", async () => {
  const home = await Deno.makeTempDir({ prefix: "aio-trader-pages-" });
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "doc",
        "--html",
        "--name=@aio-trader/core",
        `--output=${home}`,
        ...Object.values(config.exports),
      ],
      cwd: fileURLToPath(root),
      stdout: "null",
      stderr: "piped",
    }).output();
    assert(success, new TextDecoder().decode(stderr));

    const folder = pathToFileURL(`${home}/`);
    const html = new Map<string, string>();
    for await (const page of pages(folder)) html.set(page.href, await Deno.readTextFile(page));
    assert(html.size > Object.keys(config.exports).length);

    const faults: string[] = [];
    for (const [page, text] of html) {
      const name = page.slice(folder.href.length);
      for (const link of links(text, new URL(page))) {
        if (!html.has(link.href)) faults.push(`${name} links to ${link.href}`);
      }
      const isRedirect = /http-equiv="refresh"/i.test(text);
      if (!isRedirect && words(text).trim().length < 20) faults.push(`${name} is empty`);
    }
    assertEquals(faults, []);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
