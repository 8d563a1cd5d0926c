// graft: transfer learning from scratch. Everything a program that embeds it needs.
//
// The library prints nothing, never exits, and installs no signal handler. Threads are those the caller asks for.
#pragma once
#include "graft/classifier.h"
#include "graft/error.h"
#include "graft/model.h"
#include "graft/trainer.h"
