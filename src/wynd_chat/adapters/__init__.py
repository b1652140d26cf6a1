"""Technologies behind the ports: stores, brokers, files, clock; one folder or file each."""
