// What every server process does: see serve in ../serve.go.

import { createInterface } from "node:readline";

// option returns the value of a command line flag.
export function option(name) {
  const at = process.argv.indexOf("-" + name);
  return at < 0 ? "" : process.argv[at + 1];
}

// control answers the lines of the standard input, and ends the process with it.
export function control(collect) {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    if (line !== "memory") return;
    collect();
    console.log(JSON.stringify({ heap: process.memoryUsage().heapUsed, stack: 0 }));
  });
  lines.on("close", () => process.exit(0));
}
