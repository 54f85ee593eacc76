import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);

// src/xenbus/stepper.ts
var Stepper = class {
  step;
  wanted = false;
  stopped = false;
  running;
  /** @param step must not reject: nobody is there to hear it */
  constructor(step) {
    this.step = step;
  }
  /** Something may have changed: a step begins after this moment. */
  wake() {
    if (this.stopped) return;
    this.wanted = true;
    this.running ??= this.run();
  }
  /** No step begins any more; resolves when the one that runs has ended. */
  async stop() {
    this.stopped = true;
    await this.running;
  }
  async run() {
    await Promise.resolve();
    while (this.wanted && !this.stopped) {
      this.wanted = false;
      await this.step();
    }
    this.running = void 0;
  }
};

export {
  Stepper
};
//# sourceMappingURL=chunk-DMYIZMIZ.js.map
