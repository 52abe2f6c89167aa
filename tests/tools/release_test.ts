import { assertEquals } from "@std/assert";
import { faults } from "../../tools/release.ts";

const DATED =
  "# Changelog\n\n## Unreleased\n\n## 1.2.3 - 2026-11-26\n\n- One.\n\n## 1.2.2 - 2026-01-01\n";

Deno.test("faults() finds none where tag, version and changelog agree", () => {
  assertEquals(faults({ tag: "v1.2.3", version: "1.2.3", changelog: DATED }), []);
  const linked = DATED.replace("1.2.3", "[1.2.3]").replace("Unreleased", "[Unreleased]");
  assertEquals(faults({ tag: "v1.2.3", version: "1.2.3", changelog: linked }), []);
});

Deno.test("faults() names each disagreement", () => {
  const release = { tag: "v1.2.3", version: "1.2.3", changelog: DATED };
  const cases: [Partial<typeof release>, string][] = [
    [{ tag: "1.2.3" }, "the tag is 1.2.3, wanted v1.2.3 of deno.json"],
    [{ tag: "" }, "the tag is , wanted v1.2.3 of deno.json"],
    [
      { tag: "v1.3.0", version: "1.3.0" },
      "the latest release in CHANGELOG.md is 1.2.3, wanted 1.3.0",
    ],
    [
      { changelog: DATED.replace(" - 2026-11-26", "") },
      'CHANGELOG.md gives 1.2.3 no date, wanted "## 1.2.3 - 2026-01-31"',
    ],
    [
      { changelog: DATED.replace("## Unreleased\n", "## Unreleased\n\n### Added\n\n- Two.\n") },
      "CHANGELOG.md has changes under Unreleased, wanted none",
    ],
  ];
  for (const [change, fault] of cases) {
    assertEquals(faults({ ...release, ...change }), [fault]);
  }
});
