package testbed

import "runtime"

// onOwnThread runs f on an OS thread that nobody else ever uses: it ends when f returns, whatever f did to it. The
// program's main thread is never taken, because it cannot end before the program does.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if !onMainThread() {
			f() // a goroutine that ends locked takes its thread with it
			return
		}
		locked := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(locked)
			f()
		}()
		<-locked // until then the main thread is ours and so cannot be had by the other
		runtime.UnlockOSThread()
	}()
}
