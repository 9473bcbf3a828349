import type { Reporter, TestCase, TestResult } from "@playwright/test/reporter";

/** Prints the sums as `node --test` does, which `./dev test --slow` counts. */
export default class SumReporter implements Reporter {
  private readonly results = new Map<string, TestResult["status"]>();

  onTestEnd(test: TestCase, result: TestResult): void {
    this.results.set(test.id, result.status);
  }

  onEnd(): void {
    const count = (wanted: (status: TestResult["status"]) => boolean) => [...this.results.values()].filter(wanted).length;
    console.log(`# pass ${count((status) => status === "passed")}`);
    console.log(`# fail ${count((status) => status !== "passed" && status !== "skipped")}`);
    console.log(`# skipped ${count((status) => status === "skipped")}`);
  }

  printsToStdio(): boolean {
    return false;
  }
}
