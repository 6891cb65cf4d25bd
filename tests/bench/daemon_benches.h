// Each measures one promise of the daemon on a daemon of its own, and returns its rows. Throws
// std::runtime_error where the daemon does not do as it should.
#pragma once

#include <vector>

#include "tests/bench/daemon_setup.h"
#include "tests/bench/table.h"

namespace shadow::bench {

// From the activate RPC to the first request that a suspended, and that a cold instance answers
// through HAProxy; and what is left over the start and the warm-up requests.
std::vector<Row> MeasureActivation(const Amount& amount);

// Activations of ten pools, alone and beside pools of another HAProxy, which hangs.
std::vector<Row> MeasureNeighbours(const Amount& amount);

// CPU share and memory of a daemon with 10 pools that have nothing to do; then unary calls to it.
std::vector<Row> MeasureIdle(const Amount& amount);
std::vector<Row> MeasureCalls(DaemonProcess& daemon, const Amount& amount);

// GetPool of a daemon with 10,000 pools; it takes minutes to make them.
std::vector<Row> MeasureCallsOfMany(const Amount& amount);

// From the start of a daemon with 1,000 pools to the SIZE decision of the last of them.
std::vector<Row> MeasureRestart(const Amount& amount);

// The time that the store alone takes for the samples of 1,000 pools in steps of a minute, and the
// time to evaluate one of them by all of its samples.
std::vector<Row> MeasureSamples(const Amount& amount);

// Samples/s that are acknowledged as durable.
std::vector<Row> MeasureUsage(const Amount& amount);

}  // namespace shadow::bench
