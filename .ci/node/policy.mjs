// Findings of Google's CSP evaluator on the policy on standard input: severity, kind, directive, value; one a line.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { CspParser } = require("csp_evaluator/dist/parser.js");
const { checkRequiresTrustedTypesForScripts } = require("csp_evaluator/dist/checks/strictcsp_checks.js");
const { CspEvaluator } = require("csp_evaluator/dist/evaluator.js");
const { Severity, Type } = require("csp_evaluator/dist/finding.js");

const policy = new CspParser(readFileSync(0, "utf8").trim()).csp;
for (const { severity, type, directive, value } of new CspEvaluator(policy).evaluate([checkRequiresTrustedTypesForScripts]))
  console.log(Severity[severity], Type[type], directive, value ?? "");
