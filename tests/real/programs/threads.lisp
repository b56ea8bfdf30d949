;;; SPDX-License-Identifier: BSD-2-Clause
;;; SBCL's threads: a collector that stops the others by signals and guards pages by mprotect,
;;; mutexes on futexes, interruption of a thread, timeouts.
(defun check (ok what)
  (unless ok
    (format *error-output* "not so: ~a~%" what)
    (sb-ext:exit :code 1 :abort t)))

(let* ((m (sb-thread:make-mutex))
       (n 0)
       (all (loop repeat 20
                  collect (sb-thread:make-thread
                           (lambda ()
                             (dotimes (k 200)
                               (sb-thread:with-mutex (m) (incf n))
                               (make-array 1000))
                             1)))))
  (check (= 20 (loop for th in all sum (sb-thread:join-thread th))) "join")
  (check (= n 4000) "counter"))

(let ((all (loop repeat 4
                 collect (sb-thread:make-thread
                          (lambda ()
                            (let ((l nil))
                              (dotimes (k 100000)
                                (push k l)
                                (when (zerop (mod k 1000)) (setf l nil)))))))))
  (dotimes (i 5) (sb-ext:gc :full t))
  (mapc #'sb-thread:join-thread all))

(let* ((s (sb-thread:make-semaphore))
       (th (sb-thread:make-thread (lambda () (sb-thread:wait-on-semaphore s) 7))))
  (sleep 0.05)
  (sb-thread:signal-semaphore s)
  (check (= 7 (sb-thread:join-thread th)) "semaphore"))

(let ((th (sb-thread:make-thread (lambda () (loop (sleep 1))))))
  (sleep 0.05)
  (sb-thread:terminate-thread th)
  (sb-thread:join-thread th :default nil))

(check (eq :late (handler-case (sb-ext:with-timeout 0.1 (sleep 10))
                   (sb-ext:timeout () :late)))
       "timeout")
(format t "all right~%")
