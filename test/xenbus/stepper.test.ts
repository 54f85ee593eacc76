import { expect, test } from 'vitest';
import { Stepper } from '../../src/xenbus/stepper.ts';

/** A step that ends when the test says so. */
function heldStep() {
  let release = () => {};
  const steps = { begun: 0, release: () => release() };
  const step = () => {
    steps.begun++;
    return new Promise<void>((resolve) => {
      release = resolve;
    });
  };
  return { steps, step };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await undefined;
}

test('wakes in one turn make one step', async () => {
  const { steps, step } = heldStep();
  const stepper = new Stepper(step);
  for (let i = 0; i < 1000; i++) stepper.wake();
  await turns();
  expect(steps.begun).toBe(1);
});

test('wakes during a step make one more step, after it', async () => {
  const { steps, step } = heldStep();
  const stepper = new Stepper(step);
  stepper.wake();
  await turns();
  for (let i = 0; i < 1000; i++) stepper.wake();
  await turns();
  expect(steps.begun).toBe(1);
  steps.release();
  await turns();
  expect(steps.begun).toBe(2);
  steps.release();
  await turns();
  expect(steps.begun).toBe(2);
});

test('stop waits for the step that runs and lets no other begin', async () => {
  const { steps, step } = heldStep();
  const stepper = new Stepper(step);
  stepper.wake();
  await turns();
  stepper.wake();
  let stopped = false;
  const stop = stepper.stop().then(() => {
    stopped = true;
  });
  await turns();
  expect(stopped).toBe(false);
  steps.release();
  await stop;
  stepper.wake();
  await turns();
  expect(steps.begun).toBe(1);
});
