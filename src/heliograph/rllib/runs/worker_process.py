"""The process around `heliograph.rllib.runs.worker`: it starts and ends as quickly as its imports let it."""

from heliograph.memory import collecting_later, end_without_collecting

if __name__ == "__main__":
    end_without_collecting()
    with collecting_later():
        from heliograph.rllib.runs.worker import run_jobs
    run_jobs()
