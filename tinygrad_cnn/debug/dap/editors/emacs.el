;;; tinygrad-cnn-dap.el --- Step tinygrad_cnn's backward pass with dape -*- lexical-binding: t -*-

;; In your init file, with dape installed:
;;
;;     (load "tinygrad-cnn-dap")        ; or the whole path of this file
;;
;; then M-x dape, and `tinygrad-cnn' or `tinygrad-cnn-attach'.  dape has no key for stepping back: in its REPL
;; say `back', or any other command of the terminal debugger (`b relu if norm > 3', `rc', `explain', `help').

(defvar tinygrad-cnn-python "@PYTHON@"
  "The Python that has tinygrad_cnn.")

(defvar dape-configs)

(defun tinygrad-cnn-with-token (config)
  "CONFIG with the token of the server on its port, which only its owner can read."
  (let ((file (format "@TOKENS@/%s.token" (plist-get config 'port))))
    (if (or (plist-get config :token) (not (file-readable-p file)))
        config
      (plist-put config :token (with-temp-buffer (insert-file-contents file) (buffer-string))))))

(with-eval-after-load 'dape
  (add-to-list 'dape-configs
               `(tinygrad-cnn
                 modes (python-mode python-ts-mode)
                 command ,tinygrad-cnn-python
                 command-args ("-m" "tinygrad_cnn" "dap")
                 :type "tinygrad-cnn"
                 :request "launch"
                 :program dape-buffer-default
                 :cwd dape-cwd
                 :stopOnEntry t))
  (add-to-list 'dape-configs
               `(tinygrad-cnn-attach
                 modes (python-mode python-ts-mode)
                 host "127.0.0.1"
                 port 5678
                 fn tinygrad-cnn-with-token
                 :type "tinygrad-cnn"
                 :request "attach"
                 :stopOnEntry t)))

(provide 'tinygrad-cnn-dap)
;;; tinygrad-cnn-dap.el ends here
