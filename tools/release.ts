/**
 * Checks that a tag, the version and the changelog agree:
 *
 *     deno task release v0.1.0   # exits with 1 if they do not
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

/** What one release must agree on. */
export interface Release {
  /** The tag, `v` and the version. */
  tag: string;
  /** The version in `deno.json`. */
  version: string;
  /** The text of the changelog. */
  changelog: string;
}

/**
 * Finds what keeps a release from being published.
 *
 * @param release The release.
 * @returns The faults, in words.
 */
export function faults({ tag, version, changelog }: Release): string[] {
  const found: string[] = [];
  if (tag !== `v${version}`) found.push(`the tag is ${tag}, wanted v${version} of deno.json`);
  const headings = [...changelog.matchAll(/^## \[?([^\]\s]+)\]?(?: - (\S+))?$/gm)];
  const [, latest, date = ""] = headings.find(([, name]) => name !== "Unreleased") ?? [];
  if (latest !== version) {
    found.push(`the latest release in CHANGELOG.md is ${latest}, wanted ${version}`);
  } else if (!/^\d{4}-\d\d-\d\d$/.test(date)) {
    found.push(`CHANGELOG.md gives ${version} no date, wanted "## ${version} - 2026-01-31"`);
  }
  const [, open = ""] = /^## \[?Unreleased\]?\n(.*?)(?=^## |$(?![^]))/ms.exec(changelog) ?? [];
  if (/^- /m.test(open)) found.push("CHANGELOG.md has changes under Unreleased, wanted none");
  return found;
}

if (import.meta.main) {
  const changelog = await Deno.readTextFile(new URL("../CHANGELOG.md", import.meta.url));
  const [tag = ""] = Deno.args;
  const found = faults({ tag, version: config.version, changelog });
  for (const fault of found) console.error(`Cannot release ${tag}: ${fault}`);
  Deno.exit(found.length > 0 ? 1 : 0);
}
