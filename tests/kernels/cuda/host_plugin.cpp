// Nothing of its own: the plug-in is graft_cuda_host, whole.
