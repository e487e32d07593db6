-- Steps tinygrad_cnn's backward pass with nvim-dap. In your configuration, behind nvim-dap:
--
--     require("tinygrad_cnn_dap").setup()
--
-- nvim-dap sends no function and no data breakpoints: use `breakOn` below, or the REPL, which takes the
-- terminal debugger's commands (`b relu if norm > 3`, `goto fc`, `back`, `explain`, `help`).
local M = {}

-- The token of the server on a port, which the server keeps where only its owner can read it.
local function token(port)
  local file = io.open("@TOKENS@/" .. port .. ".token")
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  return text
end

function M.setup(options)
  options = options or {}
  local dap = require("dap")
  local python = options.python or "@PYTHON@"

  dap.adapters["tinygrad-cnn"] = function(callback, config)
    if config.request == "attach" then
      local port = config.port or 5678
      callback({
        type = "server",
        host = "127.0.0.1",
        port = port,
        enrich_config = function(attach, on_config)
          on_config(attach.token and attach or vim.tbl_extend("force", attach, { token = token(port) }))
        end,
      })
    else
      callback({ type = "executable", command = python, args = { "-m", "tinygrad_cnn", "dap" } })
    end
  end

  dap.configurations.python = dap.configurations.python or {}
  vim.list_extend(dap.configurations.python, {
    {
      type = "tinygrad-cnn",
      request = "launch",
      name = "tinygrad_cnn: step the backward pass",
      program = "${file}",
      cwd = "${workspaceFolder}",
      stopOnEntry = true,
    },
    {
      type = "tinygrad-cnn",
      request = "launch",
      name = "tinygrad_cnn: stop at a selector",
      program = "${file}",
      cwd = "${workspaceFolder}",
      breakOn = function()
        return { vim.fn.input("Stop at (relu, features.*, norm > 10): ", "nan") }
      end,
    },
    {
      type = "tinygrad-cnn",
      request = "attach",
      name = "tinygrad_cnn: attach to tg.debug.listen",
      port = 5678,
      stopOnEntry = true,
    },
  })
end

return M
