// An NVIDIA driver that is there and does nothing: enough for graft to look further.
extern "C" int graft_stub_driver() { return 0; }
