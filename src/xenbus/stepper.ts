/**
 * Runs one asynchronous step at a time. However often it is woken while a step runs, one more step
 * follows: a peer that writes a node a thousand times costs a few steps and no queue.
 */
export class Stepper {
  private readonly step: () => Promise<void>;
  private wanted = false;
  private stopped = false;
  private running: Promise<void> | undefined;

  /** @param step must not reject: nobody is there to hear it */
  constructor(step: () => Promise<void>) {
    this.step = step;
  }

  /** Something may have changed: a step begins after this moment. */
  wake(): void {
    if (this.stopped) return;
    this.wanted = true;
    this.running ??= this.run();
  }

  /** No step begins any more; resolves when the one that runs has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  private async run(): Promise<void> {
    // The caller of `wake` has its turn first, so that several wakes in a row make one step.
    await Promise.resolve();
    while (this.wanted && !this.stopped) {
      this.wanted = false;
      await this.step();
    }
    this.running = undefined;
  }
}
