#!/usr/bin/env python3
"""PyTorch's steps on made-up images that lie on the device, beside graft's (`graft bench train --turns`).

    bench/pytorch_gpu.py TASK MODEL BATCH [--way eager|compile|graphs] [--precision bf16|tf32|f32] [--device cuda]

TASK: train, train-head (the trunk frozen, in inference mode and without gradients) or predict. Channels-last; bf16 is
autocast. Prints `ready …` once; then for each number on standard input so many steps, and the seconds of one.
"""

import argparse
import sys
import time

import torch
import torchvision


def head_of(model):
    return model.fc if hasattr(model, "fc") else model.classifier[-1]


class Steps:
    def __init__(self, options):
        self.options, self.device = options, torch.device(options.device)
        torch.manual_seed(0)
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.precision == "tf32"
        model = torchvision.models.get_model(options.model)
        self.model = model.to(self.device, memory_format=torch.channels_last)
        images = torch.randn(options.batch, 3, 224, 224, device=self.device)
        self.images = images.to(memory_format=torch.channels_last)
        self.labels = torch.arange(options.batch, device=self.device) * 37 % 1000
        trained = list(self.model.parameters())
        if options.task == "train":
            self.model.train()
        else:
            self.model.requires_grad_(False).eval()
            trained = list(head_of(self.model).requires_grad_(options.task == "train-head").parameters())
        self.optimizer = torch.optim.SGD(trained, lr=1e-3, momentum=0.9)
        self.forward = torch.compile(self.model) if options.way == "compile" else self.model
        self.step = self.captured() if options.way == "graphs" else self.once

    def once(self):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            if self.options.task == "predict":
                with torch.inference_mode():
                    return self.forward(self.images)
            self.optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(self.forward(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def captured(self):
        """The whole step as one CUDA graph, after some on a stream of their own, as PyTorch's notes on graphs ask."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.once()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.result = self.once()
        return graph.replay

    def seconds(self, steps):
        def wait():
            if self.device.type == "cuda":
                torch.cuda.synchronize()

        wait()
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        wait()
        return (time.perf_counter() - start) / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["train", "train-head", "predict"])
    parser.add_argument("model")
    parser.add_argument("batch", type=int)
    parser.add_argument("--way", choices=["eager", "compile", "graphs"], default="eager")
    parser.add_argument("--precision", choices=["bf16", "tf32", "f32"], default="bf16")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    steps = Steps(options)
    print(f"ready {options.model} {options.precision} {options.way}, PyTorch {torch.__version__}", flush=True)
    for line in sys.stdin:
        print(f"{steps.seconds(int(line)):.9f}", flush=True)


if __name__ == "__main__":
    main()
